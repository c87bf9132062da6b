/*
 * objects.h - object ids and the column families that hold them.
 */
#ifndef KALAM_STORAGE_OBJECTS_H
#define KALAM_STORAGE_OBJECTS_H

#include "src/storage/engine.h"

typedef struct Object Object;	/* counted; lives while somebody holds it */

/* Reads the catalog, removes families without a record.  Main thread. */
extern bool objects_open(EngineError *err);
extern void objects_close(void);

/* A committed object, held, or NULL. */
extern Object *objects_get(uint32_t object_id);
extern void object_put(Object *object);

extern uint32_t object_id(const Object *object);
extern KalamObjectOptions object_options(const Object *object);
extern bool object_is_shared(const Object *object); /* with others, in one family */
extern EngineFamily *object_family(const Object *object);
extern EngineFamily *objects_catalog(void);
extern EngineFamily *objects_pending(void);

/* May an object of this id and these options be made? */
extern bool objects_check_new(uint32_t object_id, KalamObjectOptions options, EngineError *err);

/*
 * An object that nobody else sees yet; its family exists.  Ends by install or
 * abandon.
 */
extern Object *objects_create(uint32_t object_id, KalamObjectOptions options, EngineError *err);
extern void objects_install(Object *object);
extern void objects_abandon(Object *object);

/* Key and value of its record in the catalog. */
#define OBJECT_RECORD_KEY_BYTES 10
#define OBJECT_RECORD_VALUE_BYTES (KALAM_VALUE_HEADER_BYTES + 12)
extern void object_record_key(uint32_t object_id, uint8_t *key);
extern void object_record_value(const Object *object, uint8_t *value);

/*
 * Takes a committed object out of sight (NULL if there is none); the caller
 * then holds it, and gives its bytes back with objects_destroy.
 */
extern Object *objects_remove(uint32_t object_id);
extern void objects_destroy(Object *object);

extern uint32_t objects_max_id(void);	/* largest id seen by objects_open */

#endif
